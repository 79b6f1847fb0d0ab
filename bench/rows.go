package bench

// row is a kind of measured work: a command, a part of sign-in, or a whole operation of a profile.
type row uint8

const (
	rowConnect row = iota
	rowStartTLS
	rowTLS
	rowLogin
	rowAuthenticate
	rowID
	rowCompress
	rowSignIn
	rowCapability
	rowNoop
	rowList
	rowCreate
	rowDelete
	rowSelect
	rowStatus
	rowFetch
	rowFetchBody
	rowEnvelopes
	rowStore
	rowCopy
	rowExpunge
	rowAppend
	rowIdle
	rowWake
	rowDone
	rowLogout
	rowExamine
	rowNamespace
	rowClose
	rowSearch
	rowSearchText
	rowOpNoop
	rowOpFetch
	rowOpPhone
	rowOpDesktop
	rowOpWebmail
	rowOpBulk
	rowOpStorm
	rowOpRecorded
	numRows
)

// rowNames are verbs as sent; names of other rows are in lower case.
var rowNames = [numRows]string{
	rowConnect: "connect", rowStartTLS: "STARTTLS", rowTLS: "tls handshake", rowLogin: "LOGIN",
	rowAuthenticate: "AUTHENTICATE",
	rowID:           "ID", rowCompress: "COMPRESS", rowSignIn: "sign-in", rowCapability: "CAPABILITY", rowNoop: "NOOP",
	rowList: "LIST", rowCreate: "CREATE", rowDelete: "DELETE",
	rowSelect: "SELECT", rowStatus: "STATUS", rowFetch: "UID FETCH", rowFetchBody: "UID FETCH body",
	rowEnvelopes: "FETCH envelopes", rowStore: "UID STORE", rowCopy: "UID COPY",
	rowExpunge: "EXPUNGE", rowAppend: "APPEND", rowIdle: "IDLE", rowWake: "wake-up", rowDone: "DONE",
	rowLogout: "LOGOUT",
	rowOpNoop: "noop, whole", rowOpFetch: "fetch, whole", rowOpPhone: "phone, whole", rowOpDesktop: "desktop, whole",
	rowOpWebmail: "webmail, whole", rowOpBulk: "bulk, whole", rowOpStorm: "storm, whole",
	rowExamine: "EXAMINE", rowNamespace: "NAMESPACE", rowClose: "CLOSE", rowSearch: "UID SEARCH",
	rowSearchText: "UID SEARCH text", rowOpRecorded: "recorded, whole",
}

// wholeSuffix ends the names of whole operations.
const wholeSuffix = ", whole"

func (r row) String() string { return rowNames[r] }

// command reports whether the row is one exchange with the server, and so counts as a command.
func (r row) command() bool {
	switch r {
	case rowConnect, rowTLS, rowSignIn, rowWake:
		return false
	}
	return !r.operation()
}

// operation reports whether the row is one of whole operations.
func (r row) operation() bool { return r >= rowOpNoop }

// rowOrder is the order of rows in a report: whole operations, then what they consist of.
func rowOrder() []row {
	order := make([]row, 0, numRows)
	for r := rowOpNoop; r < numRows; r++ {
		order = append(order, r)
	}
	for r := row(0); r < rowOpNoop; r++ {
		order = append(order, r)
	}
	return order
}

// verb returns the verb that is sent for the row. The rows of one verb differ in their cost.
func (r row) verb() string {
	switch r {
	case rowFetchBody:
		return "UID FETCH"
	case rowSearchText:
		return "UID SEARCH"
	case rowEnvelopes:
		return "FETCH"
	}
	return rowNames[r]
}
