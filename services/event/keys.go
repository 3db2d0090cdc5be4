package event

// OrderID names an order, and for now also its payment, shipment and message.
type OrderID string

// Kind is "order".
func (OrderID) Kind() string { return "order" }

func (id OrderID) String() string { return string(id) }

// SKU names a stock keeping unit: what lies on one shelf.
type SKU string

// Kind is "sku".
func (SKU) Kind() string { return "sku" }

func (s SKU) String() string { return string(s) }
