module distributed-pool/sdk/go

go 1.23.0
