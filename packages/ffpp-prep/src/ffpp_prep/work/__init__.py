"""The work folder: its tables and parts, the plan of its shards, its lock, where it stands, and its verification."""
