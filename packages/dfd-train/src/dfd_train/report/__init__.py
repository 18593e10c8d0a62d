"""What people read: tables, curves, contact sheets, and the page that holds them."""
