help:
	@echo "make run    install the serving side and start the service with the sample catalogue"
	@echo "make test   install everything and run every test"
