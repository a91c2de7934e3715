"""How the embedded base learns to continue text: recipe, windows, loss, schedule, state."""
