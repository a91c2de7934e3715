"""Training runs on disk: what was asked for, how far it is, who works on it, what can be resumed.

A run is a folder, and the folder is the only truth: the page, the command line, the trainer's own
process and an app that comes back all read the same files. Nothing here trains (`train/` does) and
nothing but `progress.py` knows torch.
"""
