"""One live process, read-only and with rights: its maps, memory, symbols, Python and allocator."""
