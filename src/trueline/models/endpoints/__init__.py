"""Models behind an OpenAI-compatible server: requests, limits, faults, answers and log-likelihoods."""
