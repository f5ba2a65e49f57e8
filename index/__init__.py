"""Text in; nearest documents and a calibrated probability out."""
