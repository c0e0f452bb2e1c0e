module example.test/ingest

go 1.19
