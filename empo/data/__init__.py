"""Data as the field has it: emotions, dialogues, and where to get them."""
