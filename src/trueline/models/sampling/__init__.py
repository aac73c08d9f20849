"""Drawing answers: many prompts and samples in one running batch over shared prompts."""
