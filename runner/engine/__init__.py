"""Runs a graph of tasks; knows no storage."""
