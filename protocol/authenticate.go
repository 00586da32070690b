package protocol

// Authenticate asks for other credentials: whose connection it is from then on. It is of version 2, and comes from the
// end that dialed.
type Authenticate struct {
	// Token is whatever the other end takes as a proof.
	Token string
}

// Authenticate decodes the fields of an authenticate, but for the id: see [Frame.Route].
func (f *Frame) Authenticate() (Authenticate, error) {
	if err := f.require(fieldToken); err != nil {
		return Authenticate{}, err
	}
	token, err := f.text(fieldToken)
	return Authenticate{Token: token}, err
}

// AppendAuthenticate appends an authenticate, without an id if it is "".
func AppendAuthenticate(dst []byte, token, id string) []byte {
	dst = appendText(append(dst, `{"func":"authenticate"`...), fieldToken, token)
	return append(appendRoute(dst, Route{ID: id}), '}')
}
