"""What a method makes of a rollout: advantages or selections as pure functions, a file each."""
