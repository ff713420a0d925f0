"""Runs: what asks for one, who may, how many, and what is stored of each."""
