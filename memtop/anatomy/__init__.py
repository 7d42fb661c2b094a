"""What the resident memory of one live process is made of, read from outside."""
