package business_test

import (
	"strings"
	"testing"

	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/business"
)

type joined struct {
	ofTicket
	Mail string `json:"mail" weir:"personal"`
}

// What is personal is neither shown, nor told to who guesses.
func TestPersonalFieldsStayPersonal(t *testing.T) {
	showing := func(change func(v *business.View), fields ...business.Field) error {
		b := theatre()
		b.Facts = append(b.Facts, streams.NewFact[joined]("ticket.joined", streams.External()))
		v := b.Services[0].Views[0]
		v.From = append(v.From, business.Takes[joined]("joined_at", "mail"))
		v.Fields = append(v.Fields, fields...)
		change(v)
		_, err := b.Topology()
		return err
	}
	none := func(*business.View) {}
	personal := business.Field{Name: "mail", Kind: business.Text, Personal: true}
	if err := showing(none, personal); err != nil {
		t.Error(err)
	}
	asked := personal
	asked.Filter = true
	sorts := func(v *business.View) { v.Sort = "extras" }
	for want, err := range map[string]error{
		`it takes "mail" of ticket.joined, which is tagged personal`: showing(none),
		`it takes "mail" of ticket.joined`:                           showing(none, business.Field{Name: "mail", Kind: business.Text}),
		`field "mail" is personal, and the list`:                     showing(none, asked),
		`field "extras" is personal, and the list`:                   showing(sorts, personal, business.Field{Name: "extras", Kind: business.Count, Personal: true}),
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %s, got %v", want, err)
		}
	}
}
