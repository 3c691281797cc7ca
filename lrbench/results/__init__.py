"""What was observed: records, the log that holds them, and the tables that are views of it; imports no torch."""
