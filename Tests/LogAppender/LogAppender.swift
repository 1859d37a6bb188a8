@main struct LogAppender { static func main() {} }
