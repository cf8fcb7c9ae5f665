"""What runs where the helped person is: shows their screen to whom they allow."""
