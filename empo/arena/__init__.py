"""The arena: votes between two anonymous replies, and what can honestly be said from them."""
