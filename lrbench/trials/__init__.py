"""From a spec to records: dense models, probes of single layers, trials, and the stages of a sweep."""
