package streams

import "github.com/bytedance/sonic"

// codec encodes and decodes everything that is JSON in the runtime, in the
// standard library's dialect (sorted map keys, so that equal states are equal
// bytes) at a third of its cost: JSON is otherwise the lane's largest expense.
var codec = sonic.ConfigStd

// plain keeps numbers as they are written, and escapes nothing for pages: whoever shows it
// does.
var plain = sonic.Config{UseNumber: true, SortMapKeys: true, CompactMarshaler: true, CopyString: true, ValidateString: true}.Froze()
