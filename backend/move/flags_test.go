package move

import (
	"flag"
	"time"
)

// How long the proofs take.
var (
	seeds  = flag.Int("seeds", 2, "how many sites to simulate")
	inEtcd = flag.Duration("etcd", time.Second, "how long to break a real etcd and its nodes")
)
