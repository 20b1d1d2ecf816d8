"""The gate's verdicts where a CI job shows them: annotations, a summary, JUnit XML and JSON."""
