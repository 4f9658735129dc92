"""What portal and console share: requests and answers, texts, passkeys, the outermost checks of every request."""
