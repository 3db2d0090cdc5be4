// Package event is the vocabulary of the business: every fact that services
// tell each other, a file per context. What one notes for itself stands with it. A type here is a promise to history:
// records of it are read for years, so change one by a new version with an
// upcaster, never in place.
package event

import (
	"slices"

	"github.com/weirstream/weir/streams"
)

// Facts lists every event type with its name on the wire.
var Facts = slices.Concat(orderFacts, inventoryFacts, paymentFacts, shippingFacts, notificationFacts)

// Vocabulary registers Facts alone, for who hears what services tell one another.
func Vocabulary() (*streams.Vocabulary, error) { return streams.NewVocabulary(Facts...) }
