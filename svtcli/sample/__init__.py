"""Exact samples: each code drawn given all before it, never computing one twice."""
