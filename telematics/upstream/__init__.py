"""The lower platform of JT/T 809: forwards our vehicles' positions to a superior (provincial) platform."""
