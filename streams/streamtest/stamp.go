package streamtest

import (
	"encoding/binary"
	"hash/crc32"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// Where a record batch has what:
// https://kafka.apache.org/documentation/#recordbatch
const (
	batchChecksum   = 17
	batchAttributes = 21
	batchFirstTime  = 27
	batchMaxTime    = 35
	batchRecords    = 61
	brokersTime     = 0x08 // in the attributes' lower byte
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// StampRecords lets the broker stamp all records with its own time, in virtual
// time only, so that it is known what was on the log when a timer fell due.
// kfake ignores the topic's setting, and does it for batches that ask for it,
// with their old checksum: so the times are set here, to what it will set them.
func (c *Cluster) StampRecords() {
	c.Broker.ControlKey(int16(kmsg.Produce), func(q kmsg.Request) (kmsg.Response, error, bool) {
		c.Broker.KeepControl()
		if p, ok := q.(*kmsg.ProduceRequest); ok {
			for i := range p.Topics {
				for j := range p.Topics[i].Partitions {
					stamp(p.Topics[i].Partitions[j].Records)
				}
			}
		}
		return nil, nil, false // the broker handles it
	})
}

func stamp(batch []byte) {
	if len(batch) < batchRecords {
		return
	}
	now := uint64(time.Now().UnixMilli())
	batch[batchAttributes+1] |= brokersTime
	binary.BigEndian.PutUint64(batch[batchFirstTime:], now)
	binary.BigEndian.PutUint64(batch[batchMaxTime:], now)
	binary.BigEndian.PutUint32(batch[batchChecksum:], crc32.Checksum(batch[batchAttributes:], castagnoli))
}
