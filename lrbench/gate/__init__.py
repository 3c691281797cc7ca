"""What may not get worse: verdicts on two results folders, and on two versions of the code; imports no torch."""
