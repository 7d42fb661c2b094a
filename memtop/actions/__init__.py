"""What changes a target: each action names its targets, checks them, and says what happened."""
