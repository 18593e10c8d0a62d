"""Words for people: text from outside made printable, cells of spreadsheets, durations and sizes."""
