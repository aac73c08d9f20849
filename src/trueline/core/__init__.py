"""The vocabulary that everything else shares. No torch here."""
