"""One module per subcommand of yolo-focal; each a thin story over the layers below."""
