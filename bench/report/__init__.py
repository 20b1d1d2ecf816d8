"""The page: from verdicts to one HTML file. Nothing here computes a statistic or imports torch."""
