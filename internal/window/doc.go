// Package window holds what subscribers of a list see: immutable states of a
// page, and the steps that lead from one state to the next.
//
// A window is one page of one list. All subscribers that look at the same page
// share its states and steps, so a step is computed once and encoded once. The
// package also declares how a list, wherever its rows live, hands windows to
// its subscribers: a [Source] makes a [Subscription] for a [Sink].
//
// The algorithm that turns an old and a new page into changes is in [Diff].
package window
