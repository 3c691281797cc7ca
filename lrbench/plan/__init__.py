"""What a spec means: its trials, the cuts of each, budgets, and what they need; trains and times nothing."""
