"""Images in: cameras, streams, videos and image files; each an `ImageSource`."""
