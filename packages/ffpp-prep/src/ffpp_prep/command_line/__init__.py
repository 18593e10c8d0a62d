"""What `ffpp-prep` and `dfd-train` have in common on the command line: parser, flags of settings, output."""
