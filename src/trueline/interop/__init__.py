"""Trueline beside other tools: results in their formats, models both ways. Each tool is imported when it is chosen."""
