"""From a results folder to tables and figures; imports no torch."""
