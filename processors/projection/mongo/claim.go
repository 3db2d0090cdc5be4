package mongo

import (
	"context"
	"errors"
	"fmt"

	"go.mongodb.org/mongo-driver/v2/bson"
	driver "go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/weirstream/weir/processors/projection"
	"github.com/weirstream/weir/streams"
)

// cursor is a partition's document. The sequences are in it so that they move
// with the offset.
type cursor struct {
	ID        string           `bson:"_id"`
	Topic     string           `bson:"topic"`
	Partition int32            `bson:"partition"`
	TopicID   []byte           `bson:"topic_id"`
	Next      int64            `bson:"next"`
	Epoch     int64            `bson:"epoch"`
	Seen      map[string]int64 `bson:"seen"` // by lane, as a field's name
}

// Claim makes the caller the only writer: once every cursor has the new epoch,
// none moves for another one.
func (s *Store) Claim(ctx context.Context, partitions int32, read []projection.Cursor) (c projection.Claim, err error) {
	if c.Epoch, err = s.raise(ctx, partitions); err != nil {
		return c, err
	}
	if err := s.addCursors(ctx, c.Epoch, read); err != nil {
		return c, err
	}
	older := bson.D{{Key: "epoch", Value: bson.D{{Key: "$lt", Value: c.Epoch}}}}
	if _, err := s.db.Collection("cursors").UpdateMany(ctx, older, set(bson.D{{Key: "epoch", Value: c.Epoch}})); err != nil {
		return c, failed(ctx, "the cursors cannot be claimed", err)
	}
	docs, err := find[cursor](ctx, s.db.Collection("cursors"), bson.D{})
	for i := range docs {
		if docs[i].Epoch != c.Epoch {
			return c, fmt.Errorf("epoch %d has become %d: %w", c.Epoch, docs[i].Epoch, projection.ErrFenced)
		}
		c.Cursors = append(c.Cursors, docs[i].read())
	}
	return c, err
}

// raise gives the next epoch, and records the partition count the first time.
// A wrong count fences nobody.
func (s *Store) raise(ctx context.Context, partitions int32) (int64, error) {
	c := s.db.Collection("platform")
	first := bson.D{{Key: "_id", Value: platformID}, {Key: "partitions", Value: 0}}
	if _, err := c.UpdateOne(ctx, first, set(bson.D{{Key: "partitions", Value: partitions}})); err != nil {
		return 0, failed(ctx, "the partition count cannot be recorded", err)
	}
	var p platform
	same := bson.D{{Key: "_id", Value: platformID}, {Key: "partitions", Value: partitions}}
	err := c.FindOneAndUpdate(ctx, same, bson.D{{Key: "$inc", Value: bson.D{{Key: "epoch", Value: int64(1)}}}},
		options.FindOneAndUpdate().SetReturnDocument(options.After)).Decode(&p)
	if errors.Is(err, driver.ErrNoDocuments) {
		return 0, s.anotherCount(ctx, partitions)
	}
	if err != nil {
		return 0, failed(ctx, "the read model cannot be claimed", err)
	}
	return p.Epoch, nil
}

func (s *Store) anotherCount(ctx context.Context, partitions int32) error {
	var p platform
	if err := s.db.Collection("platform").FindOne(ctx, bson.D{{Key: "_id", Value: platformID}}).Decode(&p); err != nil {
		return failed(ctx, "the partition count cannot be read", err)
	}
	return fmt.Errorf("the read model was made for %d partitions, the platform has %d: drop its database to build it again", p.Partitions, partitions)
}

// addCursors makes those that are missing, and takes the topic's id for those
// of which nothing was read: the topic may have been made anew.
func (s *Store) addCursors(ctx context.Context, epoch int64, read []projection.Cursor) error {
	c := s.db.Collection("cursors")
	docs, err := find[cursor](ctx, c, bson.D{})
	if err != nil {
		return err
	}
	there := map[string]bool{}
	for _, d := range docs {
		there[d.ID] = true
	}
	var added []any
	for _, r := range read {
		id := place(r.Topic, r.Partition)
		if !there[id] {
			added = append(added, cursor{ID: id, Topic: r.Topic, Partition: r.Partition, TopicID: r.TopicID[:], Epoch: epoch, Seen: map[string]int64{}})
			continue
		}
		unread := bson.D{{Key: "_id", Value: id}, {Key: "next", Value: int64(0)}}
		if _, err := c.UpdateOne(ctx, unread, set(bson.D{{Key: "topic_id", Value: r.TopicID[:]}})); err != nil {
			return failed(ctx, "the cursor of "+id+" cannot be made", err)
		}
	}
	return insert(ctx, c, added)
}

func (d *cursor) read() projection.Cursor {
	c := projection.Cursor{Topic: d.Topic, Partition: d.Partition, Next: d.Next, Seen: map[streams.Lane]int64{}}
	copy(c.TopicID[:], d.TopicID)
	for lane, seq := range d.Seen {
		c.Seen[streams.Lane(unfield(lane))] = seq
	}
	return c
}

// Offsets is the offset that comes next, by topic and partition, as stored.
func (s *Store) Offsets(ctx context.Context) (map[string]map[int32]int64, error) {
	docs, err := find[cursor](ctx, s.db.Collection("cursors"), bson.D{})
	out := map[string]map[int32]int64{}
	for _, d := range docs {
		if out[d.Topic] == nil {
			out[d.Topic] = map[int32]int64{}
		}
		out[d.Topic][d.Partition] = d.Next
	}
	return out, err
}

func set(fields bson.D) bson.D { return bson.D{{Key: "$set", Value: fields}} }
