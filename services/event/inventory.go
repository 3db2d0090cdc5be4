package event

import "github.com/weirstream/weir/streams"

// HoldRequested asks a shelf to set units aside for an order.
type HoldRequested struct {
	SKU      SKU     `json:"sku"`
	Order    OrderID `json:"order"`
	Quantity int64   `json:"quantity"` // summed over the order's lines
}

// HoldReleased gives back what the shelf may hold for the order.
type HoldReleased struct {
	SKU   SKU     `json:"sku"`
	Order OrderID `json:"order"`
}

// HoldShipped says that the held units left the house.
type HoldShipped struct {
	SKU      SKU     `json:"sku"`
	Order    OrderID `json:"order"`
	Quantity int64   `json:"quantity"`
}

// StockReserved says that every SKU of the order is held.
type StockReserved struct {
	Order OrderID `json:"order"`
}

// StockRejected says that a SKU is short, so the order cannot be fulfilled.
type StockRejected struct {
	Order OrderID `json:"order"`
	SKU   SKU     `json:"sku"` // the first found short
}

// StockReleased says that a cancelled order claims nothing any more.
type StockReleased struct {
	Order OrderID `json:"order"`
}

// StockShipped says that the order's claim left the house with the parcel.
type StockShipped struct {
	Order OrderID `json:"order"`
}

// StockReceived is a delivery counted at the door. The first one makes the SKU
// tracked; before it the SKU is made to order and never short.
type StockReceived struct {
	SKU      SKU   `json:"sku"`
	Quantity int64 `json:"quantity"` // 1 and up
}

// StockAdded says that a delivery lies on the shelf.
type StockAdded struct {
	SKU      SKU   `json:"sku"`
	Quantity int64 `json:"quantity"`
}

// StockHeld tells an order that a shelf holds its units.
type StockHeld struct {
	Order       OrderID `json:"order"`
	SKU         SKU     `json:"sku"`
	Quantity    int64   `json:"quantity"`
	MadeToOrder bool    `json:"made_to_order,omitempty"` // not taken from the shelf's count
}

// StockShort tells an order that a shelf has too little left.
type StockShort struct {
	Order     OrderID `json:"order"`
	SKU       SKU     `json:"sku"`
	Quantity  int64   `json:"quantity"` // asked for
	Available int64   `json:"available"`
}

// StockFreed says that a hold was given back.
type StockFreed struct {
	SKU      SKU     `json:"sku"`
	Order    OrderID `json:"order"`
	Quantity int64   `json:"quantity"`
}

// StockDrawn says that a hold left the shelf.
type StockDrawn struct {
	SKU      SKU     `json:"sku"`
	Order    OrderID `json:"order"`
	Quantity int64   `json:"quantity"`
}

// Key is the order or the shelf that the fact is about.
func (e HoldRequested) Key() streams.Key { return e.SKU }
func (e HoldReleased) Key() streams.Key  { return e.SKU }
func (e HoldShipped) Key() streams.Key   { return e.SKU }
func (e StockReserved) Key() streams.Key { return e.Order }
func (e StockRejected) Key() streams.Key { return e.Order }
func (e StockReleased) Key() streams.Key { return e.Order }
func (e StockShipped) Key() streams.Key  { return e.Order }
func (e StockReceived) Key() streams.Key { return e.SKU }
func (e StockAdded) Key() streams.Key    { return e.SKU }
func (e StockHeld) Key() streams.Key     { return e.Order }
func (e StockShort) Key() streams.Key    { return e.Order }
func (e StockFreed) Key() streams.Key    { return e.SKU }
func (e StockDrawn) Key() streams.Key    { return e.SKU }

var inventoryFacts = []streams.Fact{
	streams.NewFact[HoldRequested]("hold.requested"),
	streams.NewFact[HoldReleased]("hold.released"),
	streams.NewFact[HoldShipped]("hold.shipped"),
	streams.NewFact[StockReserved]("stock.reserved"),
	streams.NewFact[StockRejected]("stock.rejected"),
	streams.NewFact[StockReleased]("stock.released"),
	streams.NewFact[StockShipped]("stock.shipped"),
	streams.NewFact[StockReceived]("stock.received", streams.External()),
	streams.NewFact[StockAdded]("stock.added"),
	streams.NewFact[StockHeld]("stock.held"),
	streams.NewFact[StockShort]("stock.short"),
	streams.NewFact[StockFreed]("stock.freed"),
	streams.NewFact[StockDrawn]("stock.drawn"),
}
