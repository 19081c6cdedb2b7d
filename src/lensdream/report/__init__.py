"""Report: one static page with all metrics and figures of a scale."""
