"""From a spec to records: load, plan, run."""
