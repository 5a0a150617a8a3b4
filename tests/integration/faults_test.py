from harness import run_tests
run_tests()
