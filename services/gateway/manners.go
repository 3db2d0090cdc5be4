package gateway

import "github.com/weirstream/weir/streams/business"

// What is the same for every business: how the interface behaves.
const manners = `Commands are answered once they are stored, and read from a read model that follows the
log. An answer to a command carries a Weir-Token; a question that sends it back is
answered from rows that hold what the command wrote. Every answer from the read model
says in Weir-Read-Model-Age how old it may be. Events from outside are posted as
CloudEvents; they are listed under the correlation "source#correlation", as is what
follows from them, and never in a saga by what they say of themselves. A body that two
readers could read differently is answered 400: a member given twice, or in another case
than its name here, half of a surrogate pair, control characters other than line feeds
and tabs. A Host that is neither an address nor a name of the server is answered 421.`

var keySchema = object{"type": "string", "pattern": business.KeyRule.String()}

func text(about string) object { return object{"type": "string", "description": about} }

var parameters = object{
	"IdempotencyKey": object{"name": "Idempotency-Key", "in": "header", "schema": object{"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
		"description": "The same key and content are carried out once; another content under the key is a conflict, whatever it is about. A key belongs to the API key that it comes with, and to one operation. Without one a request that is sent twice may be carried out twice, unless it names what it is about."},
	"Traceparent": object{"name": "traceparent", "in": "header", "schema": text("The W3C trace that the request belongs to.")},
	"WeirToken":   object{"name": "Weir-Token", "in": "header", "schema": text("Answer only from rows that hold the write which answered this token.")},
	"After":       object{"name": "after", "in": "query", "schema": text("As the Weir-Token header, and before it.")},
}

var securitySchemes = object{"apiKey": object{"type": "apiKey", "in": "header", "name": "X-Api-Key",
	"description": "Names the client whose quota the request uses up, if there are quotas. Without it that is the address it comes from."}}

var headers = object{
	"WeirToken":       object{"description": "Send it with a question to read what this command wrote.", "schema": object{"type": "string"}},
	"ReadModelAge":    object{"description": "How many seconds the read model was behind the log when it was asked, 0 if it held all, and unknown if that cannot be told. What is known is at most ten seconds old.", "schema": object{"type": "string", "pattern": "^([0-9]+|unknown)$"}},
	"RateLimit":       object{"description": "How many requests are left, in every answer to a request that a quota counts.", "schema": object{"type": "string", "examples": []string{`"client";r=3`}}},
	"RateLimitPolicy": object{"description": "How many requests at once a quota takes, and after how many seconds without any it takes as many again.", "schema": object{"type": "string", "examples": []string{`"client";q=20;w=2`}}},
	"RetryAfter":      object{"description": "Seconds.", "schema": object{"type": "integer"}},
}

func problemResponse(about string, headers ...string) object {
	out := object{"description": about, "content": object{"application/problem+json": object{"schema": ref("Problem")}}}
	if len(headers) > 0 {
		named := object{}
		for i := 0; i < len(headers); i += 2 {
			named[headers[i]] = header(headers[i+1])
		}
		out["headers"] = named
	}
	return out
}

var responses = object{
	"Problem":  problemResponse("The request cannot be served as it is; the problem's type and detail say why. A rejection's class decides the status: 422 invalid, 404 missing, 409 conflict, 403 forbidden."),
	"TooMany":  problemResponse("The client asks more than its quota. Nothing was done. Send the same request again after Retry-After seconds.", "Retry-After", "RetryAfter", "RateLimit", "RateLimit", "RateLimit-Policy", "RateLimitPolicy"),
	"NotYet":   problemResponse("What the token names has not reached the read model yet. Ask again after Retry-After seconds, or without the token.", "Retry-After", "RetryAfter"),
	"TryAgain": problemResponse("Not now. Send the same request again after Retry-After seconds; it is carried out once if it has an Idempotency-Key.", "Retry-After", "RetryAfter"),
}

var problemSchema = object{"type": "object", "description": "RFC 9457.", "required": []string{"type", "title", "status", "detail"}, "properties": object{
	"type": object{"type": "string", "format": "uri", "examples": []string{"urn:weir:problem:not-found"}}, "title": object{"type": "string"},
	"status": object{"type": "integer"}, "detail": object{"type": "string"},
	"results": object{"type": "array", "description": "Of posted events.", "items": object{"type": "object"}}}}
