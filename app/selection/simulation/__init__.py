"""What a strategy would have saved on data that is already labelled."""
