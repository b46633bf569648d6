"""What becomes of waiting runs when agents are killed between any two steps, or answers of their storage get lost."""
