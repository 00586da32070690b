package binding

// ListOf and VarOf are List and Var of types that are made at run time.
var (
	ListOf = listOf
	VarOf  = varOf
)
