"""The OpenFlow app of a Dyncast node: joins its switch to the pure D-Router or Dispatcher; `ingress` is the door."""
